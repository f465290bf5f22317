"""One upload: checked, sent, and looked for if its answer was lost."""
