{% include cookiecutter.task ~ "/steps.py" -%}
