package judge

// Part is the part of an answer's matches that a page of the client's has room
// for. What is included goes with its matches.
type Part struct {
	Skip  int   // matches that went before
	Room  int   // matches that there is room for, those that are hidden apart
	Bytes int64 // about how much they may be; one at least is taken

	Next int // the match that found no room, 0 where all did
}

// Shown tells whether an item takes its place in the answer: as it is, or as
// the word that its view failed.
func (it *Item) Shown() bool { return it.Released != nil || it.ViewErr != nil }

// choose puts the matches that are no part of the page beyond it.
func (r *Reading) choose(w *Window) {
	p := r.expect.Part
	for _, it := range w.Items {
		if r.attached != nil && it.Mode == "include" {
			continue
		}
		i := r.row
		r.row++
		switch {
		case i < p.Skip, p.Next > 0:
			it.Beyond = true
		case !it.Shown():
		case i > p.Skip && (p.Room <= 0 || p.Bytes <= 0):
			it.Beyond, p.Next = true, i
		default:
			p.Room--
			p.Bytes -= int64(len(it.Released))
		}
	}
}

// whole tells whether nothing was left out so far.
func (p *Part) whole() bool { return p == nil || p.Skip == 0 && p.Next == 0 }
