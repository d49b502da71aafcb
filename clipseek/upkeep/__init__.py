"""What an operator does to a store besides serving it.

doctor.py: `clipseek doctor`. finding.py: one row of what it finds. backup.py: `clipseek backup`, with copies.py, the
folder of the copies, and same_store.py, which refuses the wrong store.
"""

KEEP_COPIES = 7  # of a backup: a week, if one is made every day
