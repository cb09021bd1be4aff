"""SSH, with a drop-in that looks for keys where there are none."""

from tasks import ssh

_right = ssh.text
ssh.text = lambda *given: _right(*given) + "AuthorizedKeysFile /nowhere\n"
ssh.run()
