"""Videos: haze is removed frame by frame, steadily."""
