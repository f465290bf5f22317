"""One upload: checked, sent, and looked up if its answer was lost."""
