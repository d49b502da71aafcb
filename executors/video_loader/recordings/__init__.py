"""Files of several recordings: `restarts` finds where each begins, `parts` names the pieces to open."""
