"""SSH, with a drop-in that sshd cannot read."""

from tasks import ssh

_right = ssh.text
ssh.text = lambda *given: _right(*given) + "NoSuchSetting yes\n"
ssh.run()
