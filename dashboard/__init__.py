"""What people see: pages, components, callbacks, and the routes beside them."""
