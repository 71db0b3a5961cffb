"""Training runs: recipes, run folders, and what resumes after a kill."""
