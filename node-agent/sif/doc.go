// Package sif reads the table of contents of a Singularity Image Format file:
// its header, its descriptors and its small text objects. It never writes, and
// it believes no number: counts and offsets are compared with the file's size
// before anything is allocated for them, and overlapping the header or leaving
// the file is an error.
//
// The layout is the one of github.com/sylabs/sif/v2 (pkg/sif) and of Apptainer's
// fork of it: a header of 128 bytes, descriptors of 585 bytes each, packed,
// little-endian.
package sif
