"""The two stages of training: modules, optimisers, callbacks, runs from recipes."""
