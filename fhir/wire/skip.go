package wire

// nest remembers which of the open containers are objects.
type nest [maxDepth/64 + 1]uint64

func (n *nest) set(depth int, object bool) {
	word, bit := &n[depth>>6], uint64(1)<<(depth&63)
	*word &^= bit
	if object {
		*word |= bit
	}
}

func (n *nest) object(depth int) bool { return n[depth>>6]>>(depth&63)&1 != 0 }

// skip reads the value at i, which lies in depth containers, and checks all of
// its syntax but not whether names repeat.
func skip(doc []byte, i, depth int) (int, fault) {
	var open nest
	var f fault
	for floor := depth; ; {
		switch c := at(doc, i); c {
		case '"':
			i, f = scanString(doc, i+1)
		case '{', '[':
			if depth++; depth > maxDepth {
				return i, tooDeep
			}
			open.set(depth, c == '{')
			i = space(doc, i+1)
			if at(doc, i) != c+2 { // '}' and ']' stand two behind '{' and '['
				if c == '{' {
					_, _, i, f = scanName(doc, i)
				}
				if f != none {
					return i, f
				}
				continue
			}
			depth--
			i++
		default:
			i, f = scanScalar(doc, i)
		}
		if f != none {
			return i, f
		}
		if i, depth, f = ascend(doc, i, floor, depth, &open); f != none || depth < 0 {
			return i, f
		}
	}
}

// ascend closes containers behind a value until one goes on, and returns the
// start of its next value; the depth is -1 when the value at floor has ended.
func ascend(doc []byte, i, floor, depth int, open *nest) (int, int, fault) {
	for depth > floor {
		i = space(doc, i)
		object := open.object(depth)
		switch c := at(doc, i); {
		case c == ',':
			i = space(doc, i+1)
			if !object {
				return i, depth, none
			}
			_, _, i, f := scanName(doc, i)
			return i, depth, f
		case c == '}' && object, c == ']' && !object:
			depth--
			i++
		default:
			return i, depth, unexpected(doc, i)
		}
	}
	return i, -1, none
}
