"""What every room needs: optional packages, files, names, environment."""
