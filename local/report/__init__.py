"""The change report: what a preview means for those who have to agree to it, as comment, text, JSON and page."""
