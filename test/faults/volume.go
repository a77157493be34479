// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

const (
	// Images is how many a volume has that keeps its claim; a plan knows them by their numbers.
	Images = 12
	// Contents is how many different ones these have. An image that is replaced gets the next.
	Contents = 3
	// LiveImages is how many images run on the node.
	LiveImages = 2
)

// FirstContent is the number of what an image holds before anything is replaced: most are small, two are large, two misbehave.
func FirstContent(image int) int { return max(0, image-Images+2*Contents) / 2 }

// Volume is what the reports of a volume must say, as the scans of a plan go by. The zero value is one that nothing scanned.
type Volume struct {
	images  [Images]known
	scanned bool
}

type known struct {
	replaced int
	database int
	again    bool
}

// Expected is what a scan does with the images, by their numbers: it opens them, matches them again without that, or does
// neither.
type Expected struct{ Opened, Again, Unchanged []int }

// Next changes the images as a scan asks for, and tells what it does then.
func (v *Volume) Next(s Scan) (e Expected) {
	changed := map[int]bool{}
	for _, i := range s.Replaced {
		v.images[i].replaced++
		changed[i] = true
	}
	for _, i := range s.Touched {
		changed[i] = true
	}
	for i := range v.images {
		image := &v.images[i]
		switch {
		case !v.scanned || !s.WhenChanged || changed[i]:
			image.again = false
			e.Opened = append(e.Opened, i)
		case image.database != s.Database:
			image.again = true
			e.Again = append(e.Again, i)
		default:
			e.Unchanged = append(e.Unchanged, i)
		}
		image.database = s.Database
	}
	v.scanned = true
	return e
}

// Content is the number of what an image holds now.
func (v *Volume) Content(image int) int {
	return (FirstContent(image) + v.images[image].replaced) % Contents
}

// Database is the number of the one that an image was last matched with.
func (v *Volume) Database(image int) int { return v.images[image].database }

// Again reports whether an image was last matched again, and not opened for that.
func (v *Volume) Again(image int) bool { return v.images[image].again }
