"""How the embedded checkpoint was made: grammar, tokenizer, training and evaluation.

Nothing in the app imports this package. `python -m dgemma_play.training.train` trains,
`python -m dgemma_play.training.evaluate` measures a checkpoint.
"""
