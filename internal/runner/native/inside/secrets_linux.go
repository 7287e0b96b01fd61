package inside

import "syscall"

// secretsDir is function.SecretsDir.
const secretsDir = "run/secrets"

// showSecrets puts the function's secrets into a file system of their own, which is in memory alone, for its user to read.
func showSecrets(t *Task) error {
	if len(t.SecretNames) == 0 {
		return nil
	}
	if len(t.SecretTexts) != len(t.SecretNames) {
		return syscall.EINVAL
	}
	if len(t.Layers) == 0 { // else the directory is a layer's, see makeOwnLayer
		if err := makeDirs("run", secretsDir); err != nil {
			return err
		}
	}
	const page = 4096
	size := int64(page)
	for _, text := range t.SecretTexts {
		size += int64(len(text))/page*page + page
	}
	const flags = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
	options := "mode=755,size=" + decimal(size) + ",nr_inodes=" + decimal(int64(len(t.SecretNames))+2)
	if err := syscall.Mount("secrets", secretsDir, "tmpfs", flags, options); err != nil {
		return err
	}
	for i, name := range t.SecretNames {
		if err := writeSecret(t, secretsDir+"/"+name, t.SecretTexts[i]); err != nil {
			return &failure{name, err}
		}
	}
	return syscall.Mount("", secretsDir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY|flags, "") // as every kernel has it
}

func writeSecret(t *Task, path, text string) error {
	fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_CLOEXEC, 0o400)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	for b := []byte(text); len(b) > 0; {
		n, err := syscall.Write(fd, b)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	if !t.Switch {
		return nil // the init is the command's user
	}
	return syscall.Fchown(fd, int(t.UID), int(t.GID))
}
