class ProductsController < ApplicationController
  def index
    # A file of its own shows that the paths which the stack file names can be written to.
    File.write(Rails.root.join("tmp", "seen"), Time.now.to_s)
    render json: Product.order(:name).pluck(:name)
  end
end
