package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Lines reads NDJSON.
type Lines struct {
	r    *bufio.Reader
	max  int64
	at   int64
	line []byte
}

// NewLines reads lines of at most max bytes.
func NewLines(r io.Reader, max int64) *Lines {
	return &Lines{r: bufio.NewReaderSize(r, 64<<10), max: max}
}

// Next is the next line that is not blank, without its end and unchecked:
// whoever reads it parses it. It is valid until the next call. The error is
// io.EOF at the end, an *Error for a line that is too long, or the reader's.
func (l *Lines) Next() ([]byte, error) {
	for {
		l.line = l.line[:0]
		for {
			part, err := l.r.ReadSlice('\n')
			l.line = append(l.line, part...)
			l.at += int64(len(part))
			if int64(len(bytes.TrimRight(l.line, "\r\n"))) > l.max {
				return nil, tooLong.at(int(l.at))
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if err != nil && (err != io.EOF || len(l.line) == 0) {
				return nil, err
			}
			break
		}
		if line := bytes.TrimSpace(l.line); len(line) > 0 {
			return line, nil
		}
	}
}
