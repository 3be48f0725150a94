"""The Privacy page: a dictionary of plain types goes in, a page to look at comes out. Imports nothing else of this package."""
