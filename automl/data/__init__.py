"""From what a user has to arrays: `load` reads, `kinds` and `target` judge, `columns` encodes, `splits` deals out the rows.

Nothing here learns a model. What a network or a tree needs to know of a column is its numbers or its codes; statistics are
measured later, on the rows that a model may see.
"""
