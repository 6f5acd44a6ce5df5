//go:build real

package real

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The index of the audit trail on PostgreSQL passes the tests that it passes on
// SQLite.
func TestIndexOnPostgreSQL(t *testing.T) {
	c := exec.Command("go", "test", "-count=1", "./gateway/audit/index")
	c.Dir, c.Env = "../..", append(os.Environ(), "GATEHOUSE_TEST_POSTGRES="+ledger.url)
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "ok") {
		t.Errorf("%v\n%s", err, out)
	}
}
