"""What people see of an investigation: one view model, shown as HTML, Markdown, notebook outputs and JSON."""
