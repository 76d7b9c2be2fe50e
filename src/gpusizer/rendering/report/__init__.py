"""The report that is handed over: ``build`` finds its words, ``page`` lays them out as one file that prints on A4."""
