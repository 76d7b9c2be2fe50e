"""Facts that the workbook looks up, as tables."""
