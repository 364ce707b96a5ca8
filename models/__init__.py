"""Feature stores to runs, tables and the report.

How a batch reaches the network: ``job`` opens the stores, ``items`` says what an item is, ``sources`` keeps the rows,
``examples`` pads them to a batch, ``fit`` gives it to the ``network`` (``encoders``, ``fusion``, a head) and lowers the
``losses``.
"""
