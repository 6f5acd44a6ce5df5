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

// pass is skip for a value that seldom is an array or object.
func pass(doc []byte, i, depth int) (int, fault) {
	switch at(doc, i) {
	case '"':
		return scanString(doc, i+1)
	case '{', '[':
		return skip(doc, i, depth)
	}
	return scanScalar(doc, i)
}

// skip reads the value at i, which lies in depth containers, and checks all of
// its syntax but not whether names repeat.
func skip(doc []byte, i, depth int) (int, fault) {
	var open nest
	var f fault
	object := false
	for floor := depth; ; {
		switch c := at(doc, i); c {
		case '"':
			if i, f = scanString(doc, i+1); f != none {
				return i, f
			}
		case '{', '[':
			if depth++; depth > maxDepth {
				return i, tooDeep
			}
			object = c == '{'
			open.set(depth, object)
			i = space(doc, i+1)
			if at(doc, i) != c+2 { // '}' and ']' stand two behind '{' and '['
				goto next
			}
			depth--
			i++
			object = open.object(depth)
		default:
			if i, f = scanScalar(doc, i); f != none {
				return i, f
			}
		}
		for {
			if depth == floor {
				return i, none
			}
			i = space(doc, i)
			c := at(doc, i)
			if c == ',' {
				break
			}
			if object && c != '}' || !object && c != ']' {
				return i, unexpected(doc, i)
			}
			depth--
			i++
			object = open.object(depth)
		}
		i = space(doc, i+1)
	next:
		if object {
			if _, _, i, f = scanName(doc, i); f != none {
				return i, f
			}
		}
	}
}
