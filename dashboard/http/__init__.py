"""Plain HTTP routes of the web application, beside the Dash pages."""
