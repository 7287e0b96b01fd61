package broker

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed pom.xml
var pom []byte

// Distribution is where Kafka's jars are, and what is made from them once: the first metadata of a cluster, and the archive of
// classes that makes a broker start in half the time.
type Distribution struct {
	dir  string
	java string

	// While it is being made:
	checkpoint string // the first metadata, where it is not in its place yet
	record     string // where Java writes the archive of classes when it stops
}

// ErrNotHere says that this machine cannot run a broker; what wraps it says why.
var ErrNotHere = errors.New("no broker can run here")

// Find looks for what Resolve left. The error is ErrNotHere when something is missing.
func Find() (*Distribution, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("%w: java is not on PATH", ErrNotHere)
	}
	d := &Distribution{java: java}
	if d.dir, err = place(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(d.bootstrap()); err != nil {
		return nil, fmt.Errorf("%w: its jars have not been resolved (go run ./hack/kafka resolve)", ErrNotHere)
	}
	return d, nil
}

// place is the directory of what this pom resolves to: another pom has another.
func place() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotHere, err)
	}
	sum := sha256.Sum256(pom)
	return filepath.Join(cache, "dalamb", "kafka-"+hex.EncodeToString(sum[:6])), nil
}

func (d *Distribution) bootstrap() string {
	if d.checkpoint != "" {
		return d.checkpoint
	}
	return filepath.Join(d.dir, "bootstrap.checkpoint")
}

func (d *Distribution) libs() string    { return filepath.Join(d.dir, "libs") }
func (d *Distribution) archive() string { return filepath.Join(d.dir, "classes.jsa") }

// Resolve has Maven fetch Kafka's jars, and makes from them what Find looks for. It does nothing when that is there.
func Resolve(ctx context.Context) (*Distribution, error) {
	if d, err := Find(); err == nil {
		return d, nil
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("%w: java is not on PATH", ErrNotHere)
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return nil, fmt.Errorf("%w: mvn is not on PATH", ErrNotHere)
	}
	d := &Distribution{java: java}
	if d.dir, err = place(); err != nil {
		return nil, err
	}
	if err := d.fetch(ctx, mvn); err != nil {
		return nil, err
	}
	if err := d.train(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// fetch fills libs, whole or not at all.
func (d *Distribution) fetch(ctx context.Context, mvn string) error {
	if _, err := os.Stat(d.libs()); err == nil {
		return nil
	}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of the jars: %w", err)
	}
	tmp, err := os.MkdirTemp(d.dir, "fetch-")
	if err != nil {
		return fmt.Errorf("make the directory of the jars: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := os.WriteFile(filepath.Join(tmp, "pom.xml"), pom, 0o644); err != nil {
		return fmt.Errorf("write the pom: %w", err)
	}
	cmd := exec.CommandContext(ctx, mvn, "-q", "-B", "-f", filepath.Join(tmp, "pom.xml"),
		"dependency:copy-dependencies", "-DoutputDirectory="+filepath.Join(tmp, "libs"))
	if err := run(cmd); err != nil {
		return fmt.Errorf("resolve Kafka's jars: %w", err)
	}
	if err := os.Rename(filepath.Join(tmp, "libs"), d.libs()); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keep Kafka's jars: %w", err)
	}
	return nil
}

// train starts a broker once. What formats its storage is every later broker's too, and what Java has learned when it stops is the
// archive. The first metadata comes into its place last: it is what Find looks for.
func (d *Distribution) train(ctx context.Context) error {
	tmp, err := os.MkdirTemp(d.dir, "train-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(tmp)
	checkpoint, err := d.format(ctx, tmp)
	if err != nil {
		return err
	}
	archive := filepath.Join(tmp, "classes.jsa")
	c, err := Start(ctx, &Distribution{dir: d.dir, java: d.java, checkpoint: checkpoint, record: archive}, Options{Security: true})
	if err != nil {
		return fmt.Errorf("start a first broker: %w", err)
	}
	// Java writes the archive on a gentle stop alone; the exit code of a SIGTERM tells nothing.
	if err := errors.Join(c.Stop(1), c.Close()); err != nil {
		return fmt.Errorf("stop the first broker: %w", err)
	}
	if err := os.Rename(archive, d.archive()); err != nil {
		return fmt.Errorf("keep the class archive: %w", err)
	}
	if err := os.Rename(checkpoint, d.bootstrap()); err != nil {
		return fmt.Errorf("keep the first metadata: %w", err)
	}
	return nil
}

// format has Kafka's own tool make the first metadata: the features of this version, and User with its SCRAM credentials.
func (d *Distribution) format(ctx context.Context, tmp string) (string, error) {
	data := filepath.Join(tmp, "data")
	config := filepath.Join(tmp, "format.properties")
	text := render(map[string]string{
		"process.roles": "broker,controller", "node.id": "1", "log.dirs": data,
		"controller.quorum.voters": "1@127.0.0.1:9093", "controller.listener.names": "CONTROLLER",
		"listeners": "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093",
	})
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write the properties to format with: %w", err)
	}
	id, err := newID()
	if err != nil {
		return "", err
	}
	args := []string{"-cp", d.classPath(), "kafka.tools.StorageTool", "format", "-t", id, "-c", config}
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, User, Password))
	}
	if err := run(exec.CommandContext(ctx, d.java, args...)); err != nil {
		return "", fmt.Errorf("format a broker's storage: %w", err)
	}
	return filepath.Join(data, "bootstrap.checkpoint"), nil
}

// classPath names the jars one by one and in order: the archive holds for the very same path alone.
func (d *Distribution) classPath() string {
	jars, err := filepath.Glob(filepath.Join(d.libs(), "*.jar"))
	if err != nil {
		return "" // the pattern is fine
	}
	return strings.Join(jars, string(os.PathListSeparator))
}

// command is what runs a broker.
func (d *Distribution) command(o Options, properties string) []string {
	args := []string{d.java, "-Xmx" + o.Heap, "-XX:+UseSerialGC", "-Djava.awt.headless=true", "-XX:-UsePerfData",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info"}
	if !o.FullSpeed {
		args = append(args, "-XX:TieredStopAtLevel=1")
	}
	if d.record != "" {
		args = append(args, "-XX:ArchiveClassesAtExit="+d.record)
	} else {
		args = append(args, "-XX:SharedArchiveFile="+d.archive())
	}
	return append(args, "-cp", d.classPath(), "kafka.Kafka", properties)
}

// run runs a command; what it wrote is in the error.
func run(cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, strings.TrimSpace(out.String()))
	}
	return nil
}
