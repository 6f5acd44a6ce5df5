package upstream

import (
	"bytes"
	"errors"
	"net/url"
	"strings"
)

// base is one name of the upstream, in the form in which URLs are compared.
type base struct {
	scheme, host, port, path string
}

func newBase(u *url.URL) base {
	return base{strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), port(u), strings.TrimSuffix(u.Path, "/")}
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
}

// locate is the URL of a target below the base. The target was printed from a
// parse; that it stays below the base is checked again where it leaves.
func (u *Upstream) locate(target string) (*url.URL, error) {
	path, query, asks := strings.Cut(target, "?")
	if !plainPath(path) || asks && !plainQuery(query) {
		return nil, errors.New("target is not below the base")
	}
	where := *u.base
	if path != "" {
		where.RawPath = where.EscapedPath() + "/" + path // the * of a compartment is not escaped
		where.Path += "/" + path
	}
	where.RawQuery = query
	return &where, nil
}

// plainPath: segments of the characters that FHIR types, ids and operations
// have. There is no escape, so the path cannot mean something else. The one *
// is a whole compartment's, "Patient/1/*".
func plainPath(path string) bool {
	if path == "" {
		return true
	}
	if whole, ok := strings.CutSuffix(path, "/*"); ok && strings.Count(whole, "/") == 1 {
		path = whole
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	for i := range len(path) {
		if c := path[i]; !alphanumeric(c) && c != '-' && c != '.' && c != '_' && c != '$' && c != '/' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func plainQuery(query string) bool {
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c > '~' || c == '#' {
			return false
		}
	}
	return true
}

// Public is the client's form of a URL of the upstream; false: the URL is not
// the upstream's, or is not absolute.
func (u *Upstream) Public(s string) (string, bool) {
	parsed, below, ok := u.own(s)
	if !ok {
		return "", false
	}
	out := u.public + below
	if parsed.RawQuery != "" {
		out += "?" + parsed.RawQuery
	}
	if parsed.Fragment != "" {
		out += "#" + parsed.EscapedFragment()
	}
	return out, true
}

// Below is the target that a URL of the upstream names, such as that of its
// next page; false: it leads elsewhere. Relative URLs are relative to the base.
func (u *Upstream) Below(s string) (string, bool) {
	if parsed, err := url.Parse(s); err == nil && parsed.Host == "" && parsed.Scheme == "" {
		whole := *u.base
		whole.Path += "/"
		s = whole.ResolveReference(parsed).String()
	}
	parsed, below, ok := u.own(s)
	target := strings.TrimPrefix(below, "/")
	if !ok || !plainPath(target) {
		return "", false
	}
	if parsed.RawQuery != "" {
		target += "?" + escapeQuery(parsed.RawQuery)
	}
	return target, true
}

// escapeQuery escapes what a query must not hold and leaves its escapes alone.
func escapeQuery(query string) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c > '~' || c == '#' {
			out.Write([]byte{'%', digits[c>>4], digits[c&15]})
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

// own parses a URL and gives its escaped path below the base, "" or "/…".
func (u *Upstream) own(s string) (*url.URL, string, bool) {
	parsed, err := url.Parse(s)
	if err != nil || parsed.Host == "" || parsed.User != nil || parsed.Opaque != "" {
		return nil, "", false
	}
	for _, b := range u.ours {
		if !strings.EqualFold(parsed.Scheme, b.scheme) || !strings.EqualFold(parsed.Hostname(), b.host) || port(parsed) != b.port {
			continue
		}
		below, ok := strings.CutPrefix(parsed.EscapedPath(), b.path)
		if ok && (below == "" || below[0] == '/') && !climbs(below) {
			return parsed, below, true
		}
	}
	return nil, "", false
}

// climbs: dot segments could lead out of the base again.
func climbs(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil || plain == "." || plain == ".." {
			return true
		}
	}
	return false
}

// shortest is how many bytes of a URL name it at least; escapes make it longer.
func (b base) shortest() int {
	if strings.Contains(b.host, ":") { // IPv6 has many spellings
		return len("//[::]")
	}
	return len("//") + len(b.host)
}

var (
	slashes       = []byte("//")
	escapedLetter = []byte(`u00`)
)

// MayName says whether bytes of JSON possibly hold a URL of the upstream. Only
// then is the walk taken that finds and rewrites them. Escapes that could hide
// one count as one: \/ and the \u00… of a character that URLs have.
func (u *Upstream) MayName(b []byte) bool {
	if len(b) < u.shortest {
		return false
	}
	if hides(b) {
		return true
	}
	for {
		i := bytes.Index(b, slashes)
		if i < 0 {
			return false
		}
		b = b[i+len(slashes):]
		for _, name := range u.ours {
			if len(b) >= len(name.host) && bytes.EqualFold(b[:len(name.host)], []byte(name.host)) {
				return true
			}
			if strings.Contains(name.host, ":") && len(b) > 0 && b[0] == '[' { // IPv6 has many spellings
				return true
			}
		}
	}
}

// hides tells whether an escape stands for a character that URLs have.
func hides(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '\\')
		if i < 0 || len(b) < i+2 {
			return false
		}
		b = b[i+1:]
		if b[0] == '/' || len(b) > 4 && bytes.HasPrefix(b, escapedLetter) && inURL(hex(b[3])<<4|hex(b[4])) {
			return true
		}
		b = b[1:]
	}
}

func hex(digit byte) byte { return digit&15 + digit>>6*9 }

func inURL(c byte) bool {
	return alphanumeric(c) || bytes.IndexByte([]byte("/:.-[]_%"), c) >= 0
}
