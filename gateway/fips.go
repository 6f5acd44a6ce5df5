package gateway

import "crypto/fips140"

// FIPS says whether cryptography is that of Go's FIPS 140-3 module: off; on; or only,
// where all else is refused; and then which version of the module.
func FIPS() string {
	switch {
	case fips140.Enforced():
		return "only (" + fips140.Version() + ")"
	case fips140.Enabled():
		return "on (" + fips140.Version() + ")"
	}
	return "off"
}
