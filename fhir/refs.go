package fhir

import (
	"fmt"
	"net/url"
	"strings"
)

// BaseSet are the base URLs under which this server is known: the public one,
// and the upstream's. A nil BaseSet knows none.
type BaseSet struct{ bases []base }

type base struct{ host, path string } // host lower-case, without a default port

// NewBaseSet reads absolute http or https URLs without user, query or fragment.
func NewBaseSet(urls ...string) (*BaseSet, error) {
	set := &BaseSet{}
	for _, s := range urls {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("base URL %q: want http(s)://host/path", s)
		}
		set.bases = append(set.bases, base{bareHost(u.Host), strings.TrimSuffix(u.EscapedPath(), "/")})
	}
	return set, nil
}

// Relative gives what follows an own base in the absolute URL s, without a
// leading slash. Scheme, host case and default port do not tell bases apart:
// taking "HTTP://GW:443/fhir/Patient/B" for another server's would hide whose
// record it names (THREATS R-01).
func (b *BaseSet) Relative(s string) (string, bool) {
	host, path, ok := splitURL(s)
	if !ok || b == nil {
		return "", false
	}
	for _, own := range b.bases {
		if !sameHost(own.host, host) {
			continue
		}
		rest, ok := strings.CutPrefix(path, own.path)
		if ok && rest == "" {
			return "", true
		}
		if ok && rest[0] == '/' {
			return rest[1:], true
		}
		if ok && rest[0] == '?' {
			return rest, true
		}
	}
	return "", false
}

// splitURL cuts an http or https URL into host and the rest, without
// allocating.
func splitURL(s string) (host, rest string, ok bool) {
	i := strings.Index(s, "://")
	if i != 4 && i != 5 || !strings.EqualFold(s[:i], "http") && !strings.EqualFold(s[:i], "https") {
		return "", "", false
	}
	s = s[i+3:]
	if i = strings.IndexAny(s, "/?#"); i < 0 {
		i = len(s)
	}
	return s[:i], s[i:], true
}

func bareHost(h string) string {
	h = strings.ToLower(h)
	if cut := strings.TrimSuffix(h, ":443"); cut != h {
		return cut
	}
	return strings.TrimSuffix(h, ":80")
}

func sameHost(bare, host string) bool {
	if i := len(bare); len(host) > i && (host[i:] == ":443" || host[i:] == ":80") {
		host = host[:i]
	}
	return strings.EqualFold(bare, host)
}

// ParseRef reads a literal reference to a resource of this server: "Type/id",
// "Type/id/_history/version", or either below an own base. Whatever else, a
// contained, logical, urn or foreign reference, a path with dots, escapes,
// query or fragment, is not ok: it names nothing here. Whether the type
// exists is the caller's question.
func (b *BaseSet) ParseRef(s string) (ref Ref, version string, ok bool) {
	if strings.Contains(s, "://") {
		if s, ok = b.Relative(s); !ok {
			return Ref{}, "", false
		}
	}
	slash := strings.IndexByte(s, '/')
	if slash < 0 || !typeName(s[:slash]) {
		return Ref{}, "", false
	}
	ref.Type, ref.ID = s[:slash], s[slash+1:]
	if i := strings.IndexByte(ref.ID, '/'); i >= 0 {
		if version, ok = strings.CutPrefix(ref.ID[i:], "/_history/"); !ok || !ValidID(version) {
			return Ref{}, "", false
		}
		ref.ID = ref.ID[:i]
	}
	if !ValidID(ref.ID) {
		return Ref{}, "", false
	}
	return ref, version, true
}

// ParseRef reads a relative reference, or one below base.
func ParseRef(s string, base *BaseSet) (ref Ref, version string, ok bool) { return base.ParseRef(s) }

// typeName reports whether s has the form of a resource type's name.
func typeName(s string) bool {
	if s == "" || len(s) > 64 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// ValidID reports whether s can be a resource's or a version's id
// (https://hl7.org/fhir/R4/datatypes.html#id): 1 to 64 of A-Z, a-z, 0-9, "-"
// and ".". The names "." and ".." would be path segments with a meaning of
// their own and are none.
func ValidID(s string) bool {
	if s == "" || len(s) > 64 || s == "." || s == ".." {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !idByte[s[i]] {
			return false
		}
	}
	return true
}

var idByte = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.") {
		t[c] = true
	}
	return t
}()

// bare reports whether a base has no path, so that "/" is the base itself and
// not a trailing slash.
func (b *BaseSet) bare() bool {
	if b == nil {
		return false
	}
	for _, own := range b.bases {
		if own.path == "" {
			return true
		}
	}
	return false
}
