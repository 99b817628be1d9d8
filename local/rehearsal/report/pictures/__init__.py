"""Where everything stands in the page's pictures: numbers only, drawn by the templates."""
