"""minicnn against everybody else: each framework ("peer") in a process of its own, on the same numbers, turn by turn.

    work.py         what is computed: a table of layers, its weights, an input, and in which direction
    cases.py        which works there are, and what `--layer` makes
    claims.py       what the project promises: a ratio for each, with its bar and its aim
    process.py      the parent's side of a worker: start, ask, give up, end
    worker.py       the worker's side: pin the threads, build, compute, time
    rounds.py       the judge and the clock: agreement first, then rounds in turn, medians of ratios
    fresh.py        what needs a new process each time: start-up time and peak memory
    plot.py         where each layer stands below the machine's limits, as a picture
    suite.py        all of it in a row, and the record of the machine
    tables.py       the results for a terminal and for a page of Markdown
    *_peer.py       one framework each; catalogue.py knows them all without importing any

Nothing here imports a framework at the top of a file that the parent reads.
"""
