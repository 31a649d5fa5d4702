"""The questions as protocols: generators that ask, sum and finish, and do no I/O.

`answer = yield ask` is one round. The same lines run over one cohort, over sites in this process,
and over sites in other countries.
"""
