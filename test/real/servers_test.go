//go:build real

package real

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// hapiServer is the launcher of hapi/Hapi.java. Its database is a file, so that
// it remembers across restarts.
func hapiServer(cache, dir string, port int) *server {
	url := fmt.Sprintf("http://127.0.0.1:%d/fhir", port)
	path, _ := os.ReadFile(filepath.Join(cache, "classpath")) // without it java says what is missing
	return &server{name: "hapi", dir: dir, url: url, probe: url + "/metadata", command: []string{
		"java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", filepath.Join(cache, "classes") + ":" + strings.TrimSpace(string(path)),
		"Hapi", strconv.Itoa(port), filepath.Join(dir, "hapi"),
	}}
}

// keycloak is a running Keycloak with the realm of keycloak/realm.json.
type keycloak struct {
	process *server
	url     string
	issuer  string
}

func startKeycloak(home, dir string, port int, audience, app string) (*keycloak, error) {
	k := &keycloak{url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	k.issuer = k.url + "/realms/hospital"
	if err := copyFile("keycloak/realm.json", filepath.Join(home, "data", "import", "realm.json")); err != nil {
		return nil, err
	}
	k.process = &server{name: "keycloak", dir: dir, url: k.url, probe: k.issuer + "/.well-known/openid-configuration",
		env: []string{"GATEWAY_URL=" + audience, "APP_ORIGIN=" + app, "KC_BOOTSTRAP_ADMIN_USERNAME=admin", "KC_BOOTSTRAP_ADMIN_PASSWORD=admin"},
		// kc.sh would start java as its child; this is what it runs.
		command: []string{
			"java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
			"-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
			"--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
			"-Dkc.home.dir=" + home, "-Djboss.server.config.dir=" + filepath.Join(home, "conf"),
			"-cp", filepath.Join(home, "lib", "quarkus-run.jar"), "io.quarkus.bootstrap.runner.QuarkusEntryPoint",
			"start", "--optimized", "--import-realm", "--cache=local", "--http-enabled=true",
			"--http-host=127.0.0.1", "--http-port=" + strconv.Itoa(port), "--hostname=" + k.url,
		}}
	return k, k.process.start()
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}
