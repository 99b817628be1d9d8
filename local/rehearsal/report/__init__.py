"""Shows a rehearsal: live in the terminal, and afterwards as one HTML page, as JUnit XML and as JSON.

- ``terminal``: the live view;
- ``collect``: from pipelines that have run to the :class:`~local.rehearsal.report.model.Rehearsal` that is shown;
- ``outcome``: what it came to, in one line;
- ``write``: page, JUnit file and JSON into a folder;
- ``saved``: a rehearsal read again, and the summary that ``--json`` prints.

Each is imported by itself: the view is there before the first action, and what makes the page is needed after the last.
"""
