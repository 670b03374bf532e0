"""A wire format of the tests: JSON arrays, one a line, each beginning with what it is. Nothing of it is like OpenAI's.

It exists to show what a new format has to bring: this package, a line in the table, and a row in the catalogue.
"""

WIRE = "toy-lines"
