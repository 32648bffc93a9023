"""Charts as SVG, themed by the page: one file each, and the axes and frame that they share."""
