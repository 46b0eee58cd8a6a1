"""Reports: what was measured, as one HTML page that needs nothing else.

    text        numbers as people read them
    plots       Matplotlib figures as SVG that follows the page's colours, light or dark
    pictures    arrays as pictures inside the page
    page        the templates, put together: ``compare_page``, ``demo_page``

Everything here is a function from data to text: nothing is measured, no file is read or written. Matplotlib and Jinja
are imported when a page is made (extra ``report``).
"""
