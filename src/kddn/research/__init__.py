"""The research half of kddn: train, check and take apart. Needs `pip install "kddn[train]"`.

Where the paper's nouns live:

| noun | module |
|---|---|
| teacher, student, SWRCAB (section 3.1, figures 2 and 3) | `nets` |
| losses: reconstruction, perceptual, imitation (equations 1 to 6) | `losses` |
| haze and its density (equations 6 and 7) | `haze` |
| data | `data` |
| training, and its recipes | `training` |
| metrics, protocols, measuring | `evaluation` |
| every table and figure | `paper` |
| weights of teachers, and students' way out of here | `weights`, `export` |
"""
