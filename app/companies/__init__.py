"""Companies, the names and domains they go by, and who belongs to them since when."""
