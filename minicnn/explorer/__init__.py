"""The explorer: a page of this machine on which a network can be looked into, down to the arithmetic of one number.

    explorer = Explorer(Subject(model, classes), photo, read_photo)
    serve(explorer, listen(), browser=True, say=print)               until Ctrl-C
    html = export_page(explorer, depth=8)                            one file, no server

Three layers. ``scene`` and ``explorer`` hold what is looked at: a network, a face, everything that flows between them
(``minicnn.study`` computes it). ``answers`` is a table of addresses and of the functions that answer them, with pictures
and data; what the page can show is there. ``server`` puts the table on the web and ``guard`` keeps others out;
``export`` asks the same functions and writes the answers into a file. The page itself is ``static/``: HTML, CSS and
modules, as they are sent.

How a photograph becomes a face, and Keras's numbers, come from whoever starts the explorer: ``minicnn.cli.explore``.
"""
