"""A gallery as a service: HTTP for other programs, and a page for people.

In reading order: tokens, work, shared_calls, refusals, log_lines, uploads, answers, figures, guard, day_counts,
service, documents, app, connections, server, demo, start.
"""
