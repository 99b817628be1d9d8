Rails.application.configure do
  config.cache_classes = true
  config.eager_load = true
  config.log_level = :info
  config.active_record.dump_schema_after_migration = false # it would write to db/, which is read-only
  config.logger = ActiveSupport::Logger.new($stdout) if ENV["RAILS_LOG_TO_STDOUT"]
  # The load balancer asks by a task's address, and lets nobody else in.
  config.hosts.clear
end
