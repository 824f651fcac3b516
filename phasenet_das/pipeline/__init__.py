"""What the rules of the workflow do: one module a stage; the scripts under ``workflow/scripts`` call them."""
