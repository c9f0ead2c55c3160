"""EXR files and colour; the only importer of OpenImageIO and PyOpenColorIO."""
