{% include cookiecutter.task ~ "/test_steps.py" -%}
