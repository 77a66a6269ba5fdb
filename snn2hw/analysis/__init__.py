"""Where accuracy goes: floats against integers layer by layer, and the widths worth having."""
