"""The research half of kddn: train, check and take apart. Needs `pip install "kddn[train]"`.

Where the paper's nouns live:

| noun | module |
|---|---|
| teacher, student, SWRCAB (section 3.1, figures 2 and 3) | `nets` |
| haze and its density (equations 6 and 7) | `haze` |
| data | `data` |
| training | `training` |
| measuring | `metrics`, `protocols`, `evaluation` |
| weights out of here | `weights`, `export` |
"""
