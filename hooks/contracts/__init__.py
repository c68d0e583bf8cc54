"""What each hook promises: context layout, answers, helper families. One file per kind of hook."""
