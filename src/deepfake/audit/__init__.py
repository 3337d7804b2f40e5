"""What besides forgery tells real from fake: asked before and after neutralising."""
