"""Jinja in a tenant's files: parsed where it stands, prompts also rendered, so that no turn meets a broken one."""

import re

from frontdesk.agents.models import Definitions
from frontdesk.agents.prompts import prompt_values
from frontdesk.apply.located import Located
from frontdesk.apply.problems import Problems
from frontdesk.core.errors import DefinitionError
from frontdesk.tools.templates import TemplateFailed, Templates

_PLACE = re.compile(r"^template:([0-9]+): ")
_UNDEFINED = re.compile(r"'([^']+)' is undefined")


class TemplateFiles:
    def __init__(self, problems: Problems) -> None:
        self._templates = Templates()
        self._problems = problems

    def check(self, file: str, template: str, first_line: int = 1) -> bool:
        """Whether it is a template; it begins on `first_line` of the file."""
        try:
            self._templates.check(template, "template")
        except DefinitionError as error:
            found = _PLACE.match(error.detail)
            line = int(found[1]) if found else 1
            self._problems.add(file, first_line + line - 1, _PLACE.sub("", error.detail))
            return False
        return True

    def check_output(self, at: Located, template: str | None) -> None:
        if template is not None:
            self.check(at.file, template, at.text_line(("output_template",)))

    def check_prompts(self, definitions: Definitions, files: dict[str, str]) -> None:
        """Renders each agent's prompt with what it will be given. `files`: prompt -> its file."""
        for agent in definitions.agents.values():
            prompt = definitions.prompts.get(agent.prompt)
            if prompt is None or prompt.name not in files:
                continue  # noted where the agent names it
            values = prompt_values(definitions, agent)
            try:
                self._templates.render((agent.name, prompt.name), prompt.template, values)
            except TemplateFailed as error:
                name = _UNDEFINED.search(str(error))
                line = next((n for n, row in enumerate(prompt.template.split("\n"), 1) if name and name[1] in row), 1)
                sentence = (
                    f"can't be rendered for `{agent.name}`: {error}; accepted: {', '.join(map('`{}`'.format, values))}"
                )
                self._problems.add(files[prompt.name], line, sentence)
